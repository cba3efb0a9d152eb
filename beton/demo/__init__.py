"""The whole product on a generated project, in one command: `story` tells it, `receiver` stands in for the tool where sales works."""
