"""What a run brought, as one page: results, curves, and the encoders at work on a scene."""
