"""The Ray Serve application: one thin file a deployment, composed in app.py."""
