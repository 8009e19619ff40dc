"""Grafana dashboards as code: ``python -m dashboards.generate`` writes the JSON files that lie beside these modules.

One module a dashboard (overview, latency, quality, gpu, remediation, itself); below them the kit they are made of:
``limits`` (what the rules say), ``queries`` (PromQL over names that exist), ``palette`` (one colour, one meaning),
``panels`` and ``frame``. Nothing here is imported by the product.
"""
