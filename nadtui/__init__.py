"""nadtui's front end: the command line, the headless view and the exports. Holds no result of its own."""
