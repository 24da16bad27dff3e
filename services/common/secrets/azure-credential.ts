/**
 * The managed identity `clientId`, or else the developer's own login. The SDK is imported only here, since
 * loading it takes longer than the rest of a service.
 */
export async function azureCredential (clientId?: string) {
  const { DefaultAzureCredential, ManagedIdentityCredential } = await import('@azure/identity')
  return clientId ? new ManagedIdentityCredential({ clientId }) : new DefaultAzureCredential()
}
