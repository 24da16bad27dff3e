// The SDK is loaded where it is needed only: it takes longer than all else that a service loads

/** The managed identity of `clientId`, or else the developer who is logged in. */
export async function azureCredential (clientId?: string) {
  const { DefaultAzureCredential, ManagedIdentityCredential } = await import('@azure/identity')
  return clientId ? new ManagedIdentityCredential({ clientId }) : new DefaultAzureCredential()
}
