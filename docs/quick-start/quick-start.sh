#!/bin/sh
# Needs curl. BASE is the address of the gateway, KEY a subscription key of the product client.
set -eu

# A request that is refused for the moment (429, 503) or gets no answer is repeated; curl obeys Retry-After. With the
# same Idempotency-Key, a repeated create stores nothing twice.
api () {
  curl -sS --fail-with-body --retry 5 --retry-connrefused --max-time 60 \
    -H "Ocp-Apim-Subscription-Key: $KEY" -H 'Content-Type: application/json' "$@"
}
new_key () { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# Create a patient, and keep its id
PATIENT=$(api "$BASE/patient" -H "Idempotency-Key: $(new_key)" -d '{
  "firstName": "Ada", "lastName": "Quickstart", "gender": "female", "dateOfBirth": "1985-12-10", "postCode": "W1S4"
}')
ID=$(printf '%s' "$PATIENT" | sed -E 's/^.*"id":"([0-9a-f-]{36})".*$/\1/')
echo "created $ID"

# Store a test result
api -o /dev/null "$BASE/patient/$ID/tests" -H "Idempotency-Key: $(new_key)" -d '{
  "effective": "2026-02-28",
  "observations": [{
    "id": "1", "code": "hb", "value": {"number": 8.2, "unit": "g/dL"}, "interpretation": "low", "status": "final"
  }]
}'
echo "stored a test result"

# Find the patient by how the name begins; a Link header would lead to the next page
FOUND=$(api "$BASE/patient/search?limit=10" -d '{"lastNamePrefix": "quick"}')
echo "found $(printf '%s' "$FOUND" | grep -o '"lastUpdated"' | wc -l | tr -d ' ')"
