if __name__ == "__main__":
    # Decoder processes import this module again and do not need the commands, so the import is here.
    from cli.main import main

    main()
