/**
 * The resource of tokens for Azure DocumentDB. It is fixed, so that no connection string can request tokens
 * for anything else.
 * Source: https://learn.microsoft.com/azure/documentdb/how-to-connect-role-based-access-control
 */
export const DATABASE_RESOURCE = 'https://ossrdbms-aad.database.windows.net'

/**
 * The managed identity `clientId`, or else the developer's own login. The SDK is imported only here, since
 * loading it takes longer than the rest of a service.
 */
export async function azureCredential (clientId?: string) {
  const { DefaultAzureCredential, ManagedIdentityCredential } = await import('@azure/identity')
  return clientId ? new ManagedIdentityCredential({ clientId }) : new DefaultAzureCredential()
}
