"""How far two label sources agree."""
