"""What single cells of a feed say beside the indicator: attributes, tags, times, levels, further indicators."""
