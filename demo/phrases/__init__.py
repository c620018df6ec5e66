"""What each frame label shows, in many wordings: one module a family, the material that captions are composed of."""
