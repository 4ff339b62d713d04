"""A small MQTT 3.1.1 broker inside the coordinator's process, where Mosquitto is not installed.

What it does: QoS 0 and 1 both ways, QoS 2 from publishers, retained messages, wills, wildcards, take-over of a client
id, bounded queues; TLS with client certificates, and the rules of `access.py` for every message, filter and will.
What it does not: stored sessions (they end with their connection), MQTT 5, QoS 2 to subscribers (they are granted 1).
Why it exists is docs/adr/0002-embedded-broker.md.
"""
