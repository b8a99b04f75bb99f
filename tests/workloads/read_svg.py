"""`read_svg.py FILE`: reads a flame graph as XML, and says what its boxes are called and how many scripts it has."""
import json
import sys
import xml.dom.minidom

document = xml.dom.minidom.parse(sys.argv[1])
titles = ["".join(node.data for node in title.childNodes) for title in document.getElementsByTagName("title")]
print(json.dumps({"titles": titles, "scripts": len(document.getElementsByTagName("script"))}))
