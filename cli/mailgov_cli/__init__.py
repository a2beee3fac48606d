"""The command line of the platform: `mailgov NOUN VERB [TARGET] [OPTIONS]`."""
