"""The layers between a miss and a stored version; `app.py` lists them in the order they are hit."""
