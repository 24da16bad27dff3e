"""Needs Python 3.8 or later and no packages. BASE is the address of the gateway, KEY a subscription key of the
product client."""
import json
import os
import time
import urllib.error
import urllib.request
import uuid

BASE = os.environ.get("BASE", "http://127.0.0.1:8080")
KEY = os.environ["KEY"]
ATTEMPTS = 5


def call(method, path, body=None, **headers):
    """Send a request and return the JSON of its response.

    A request that is refused for the moment or gets no answer is repeated, after Retry-After seconds if the response
    says so. A create has an Idempotency-Key: repeated with the same key, it stores nothing twice.
    """
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    may_repeat = method != "POST" or "Idempotency-Key" in headers or path.startswith("/patient/search")
    request = urllib.request.Request(
        BASE + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Ocp-Apim-Subscription-Key": KEY, "Content-Type": "application/json", **headers},
    )
    for attempt in range(1, ATTEMPTS + 1):
        is_last = attempt == ATTEMPTS or not may_repeat
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            wait = error.headers.get("Retry-After")
            # 409 with Retry-After: the first attempt is still in progress
            is_temporary = error.code in (429, 503) or (error.code == 409 and wait)
            if is_last or not is_temporary:
                problem = json.load(error)
                # Errors are told apart by their code; texts may change
                reason = problem.get("code", problem.get("message"))
                raise SystemExit(f"refused: {reason} (trace {problem.get('traceId')})")
        except urllib.error.URLError:
            wait = None
            if is_last:
                raise
        time.sleep(float(wait or 2**attempt / 4))


# Create a patient
patient = call("POST", "/patient", {
    "firstName": "Ada", "lastName": "Quickstart", "gender": "female", "dateOfBirth": "1985-12-10", "postCode": "W1S4"
}, Idempotency_Key=str(uuid.uuid4()))
print("created", patient["id"])

# Store a test result
call("POST", f"/patient/{patient['id']}/tests", {
    "effective": "2026-02-28",
    "observations": [{
        "id": "1", "code": "hb", "value": {"number": 8.2, "unit": "g/dL"}, "interpretation": "low", "status": "final"
    }],
}, Idempotency_Key=str(uuid.uuid4()))
print("stored a test result")

# Find the patient by how the name begins; a Link header would lead to the next page
found = call("POST", "/patient/search?limit=10", {"lastNamePrefix": "quick"})
print("found", len(found))
