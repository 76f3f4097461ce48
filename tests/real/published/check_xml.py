"""Checks XML files by an XML Schema: check_xml.py SCHEMA FILE…"""

import sys

import xmlschema

schema = xmlschema.XMLSchema(sys.argv[1])
for file in sys.argv[2:]:
    for error in schema.iter_errors(file):
        print(f"{file}: {error.path}: {error.reason}")
