"""What files of pictures and lists of pictures hold, read piece by piece: archives and manifests."""
