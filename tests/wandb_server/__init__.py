"""A loopback W&B server that the real, unmodified `wandb` client talks to.

It shows that the client's calls work, are counted and survive faults: **not** what W&B's cloud
does. What it answers is modelled on what the client sends and on what is known in public; where
the cloud's behaviour is unknown, a setting of the server picks it (`Behaviour`).
"""
