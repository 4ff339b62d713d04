"""The one error of the contract package."""


class ContractError(ValueError):
    """A document, name or file breaks the contract; the text says where and what to do."""
