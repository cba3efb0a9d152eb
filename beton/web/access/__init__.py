"""Who may come in, and as whom.

policy      each address names the permission it needs, or that it is public
doorkeeper  host, credentials and permission of every request
hosts       by which names the server is called, and from where
cookies     the session's cookie, and the token in its forms
forgery     changes that another site has made a browser ask for
limits      how often somebody may ask
signing_in  the pages for signing in and out, invitations and resets
"""
