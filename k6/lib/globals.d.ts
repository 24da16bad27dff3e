// Available since k6 1.0, but missing in its types
declare const crypto: { randomUUID (): string }
