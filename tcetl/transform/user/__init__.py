"""What users write themselves: pandas functions that change, drop or enrich rows on their way."""

from tcetl.transform.user.functions import Function, Transform, as_transform, load_transform, transform

__all__ = ["Function", "Transform", "as_transform", "load_transform", "transform"]
