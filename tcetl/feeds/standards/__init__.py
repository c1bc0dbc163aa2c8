"""What the threat-intelligence standards say, as findings: values with their meaning, or what is no indicator and why.

Pure functions from a standard's own records (STIX objects, MISP events, XML elements) to `Finding` and `Refusal`;
the readers in `tcetl.feeds.formats` find the records in files and batch what comes out.
"""
