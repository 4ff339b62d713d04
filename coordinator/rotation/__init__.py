"""New keys for a coordinator, without touching its nodes: `edge-coordinator rotate`.

Each of the two, the signing key and the authority, goes the same way: `prepare` makes the new one beside the old and
writes the root that names both, `activate` puts the new one in the old one's place, `retire` writes the root that
names the new one only. In between publishers sign (`edgectl trust sign`, `push`) and the coordinator is started again.

What has been done is read from the folder and from the root in force, never from a note: every step changes one file
by one rename, may be interrupted at any moment, and may be repeated.
"""
