"""`python -m linkd`: the command line."""

from linkd.app.main import main

main()
