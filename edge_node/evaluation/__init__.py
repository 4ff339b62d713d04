"""How good a bundle's variants are on labelled samples: datasets, measures, the report."""
