// Preloaded by `node --import`: the process ends with the process that started it, however that ends
process.once('disconnect', () => process.exit(1))
process.channel?.unref()
