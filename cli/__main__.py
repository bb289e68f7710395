if __name__ == "__main__":
    # Imported here: decoder processes import this module again, and need none of it.
    from cli.main import main

    main()
