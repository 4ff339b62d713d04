"""Whose signatures count: keys of publishers and coordinator as files, and the trust roots that name them."""
