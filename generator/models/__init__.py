"""From the name of a model to a diffusers pipeline on a device, with its LoRAs, words and prompt weights."""
