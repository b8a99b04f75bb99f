"""A small web shop, for the demo: `application` spends some 5 ms of CPU time on each request.

Its functions have telling names and call each other in one known shape, so a flame graph of it can be read at a
glance and checked by a test:

    application -> load_orders
                -> compute_totals -> convert_price
                -> render_page -> render_row
                -> encode_report -> json
"""

import json

ORDERS = 2000
RATES = {"EUR": 100, "USD": 92, "GBP": 117}


def load_orders():
    currencies = list(RATES)
    return [
        {"id": n, "customer": f"customer-{n % 37}", "price": n * 7919 % 10_000, "currency": currencies[n % 3]}
        for n in range(ORDERS)
    ]


def convert_price(order):
    return order["price"] * RATES[order["currency"]] // 100


def compute_totals(orders):
    totals = {}
    for _ in range(3):
        totals.clear()
        for order in orders:
            customer = order["customer"]
            totals[customer] = totals.get(customer, 0) + convert_price(order)
    return totals


def render_row(order):
    return "<tr><td>{id}</td><td>{customer}</td><td>{price:,} {currency}</td></tr>".format(**order)


def render_page(orders, totals):
    rows = "\n".join(render_row(order) for order in orders)
    best = max(totals, key=totals.get)
    return f"<h1>{best} pays {totals[best]:,}</h1>\n<table>\n{rows}\n</table>\n"


def encode_report(orders, totals):
    return json.dumps({"orders": orders, "totals": totals})


def application(environ, start_response):
    orders = load_orders()
    totals = compute_totals(orders)
    page = render_page(orders, totals)
    report = encode_report(orders, totals)
    body = f"{page}<!-- {len(report)} -->\n".encode()
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
    return [body]
