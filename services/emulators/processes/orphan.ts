// Loaded into each process that start.ts starts, before its own modules: none may outlive start.ts, however that ends
process.once('disconnect', () => process.exit(1))
process.channel?.unref()
