import { Dispatcher } from 'undici'
import type { Service } from '../http/upstream.ts'

/** Makes requests of `service`, as undici has them. */
export function requester (service: Service) {
  const dispatcher = new class extends Dispatcher {
    override dispatch (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) {
      return service.dispatch(options, handler)
    }
  }()
  return { request: (options: Dispatcher.RequestOptions) => dispatcher.request(options) }
}
