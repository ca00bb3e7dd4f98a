"""For a Python without pip, as Debian's is: takes pip's wheel from PyPI into a folder. A wheel runs as it is:
`python3 pip-….whl/pip install …`. fetch-pip.py FOLDER; the index is PyPI's, or PIP_INDEX_URL (PEP 691)."""
import hashlib, json, os, sys, urllib.parse, urllib.request

name = 'pip-25.0.1-py3-none-any.whl'
sha256 = 'c46efd13b6aa8279f33f2864459c8ce587ea6a1a59ee20de055868d8f7688f7f'
index = os.environ.get('PIP_INDEX_URL', 'https://pypi.org/simple').rstrip('/') + '/pip/'
request = urllib.request.Request(index, headers={'Accept': 'application/vnd.pypi.simple.v1+json'})
with urllib.request.urlopen(request, timeout=60) as answer:
    files = json.load(answer)['files']
url = next(file['url'] for file in files if file['filename'] == name)
with urllib.request.urlopen(urllib.parse.urljoin(index, url), timeout=60) as answer:
    wheel = answer.read()
if hashlib.sha256(wheel).hexdigest() != sha256:
    sys.exit(f'{url} is not the file that it should be')
with open(os.path.join(sys.argv[1], name), 'wb') as out:
    out.write(wheel)
