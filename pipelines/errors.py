"""Ends of a command that are no fault of a vendor's. Nothing heavy is imported here."""


class ConfigError(Exception):
    """A mistake of the user: one line that names the key and how to set it. Exit code 2."""


class Refused(Exception):
    """The files are not what a run may build on; the text says what mends it. Exit code 2."""


class Busy(Exception):
    """Another run holds the warehouse. Exit code 75."""


class AuditRefused(Exception):
    """What was built may not be published; readers keep what they have. Exit code 3."""


class DiskTrouble(Exception):
    """The disk is full, or a file on it is damaged; readers keep what they have. Exit code 74."""
