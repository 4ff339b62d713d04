"""A small MQTT 3.1.1 broker inside the coordinator's process, where Mosquitto is not installed.

What it does: QoS 0 and 1 both ways, QoS 2 from publishers, retained messages, wills, wildcards, take-over of a client
id, bounded queues. What it does not: stored sessions (every session ends with its connection), authentication and TLS
(it listens on the loopback interface only), MQTT 5, QoS 2 to subscribers (they are granted 1).
Why it exists is docs/adr/0002-embedded-broker.md.
"""
