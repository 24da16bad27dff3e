// Since k6 1.0 beside those that its types tell
declare const crypto: { randomUUID (): string }
