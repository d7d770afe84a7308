import { UserError } from './errors.ts';

/**
 * The address of a server that is sent tokens: https, or a server of this machine.
 *
 * @param options.part of the message; `mend` is the variable that holds the address
 * @returns the address without a slash at its end
 * @throws UserError `PART.endpoint`
 */
export function checkEndpoint(given: string, { part, mend }: { readonly part: string; readonly mend: string }): string {
  let url: URL;
  try {
    url = new URL(given);
  } catch (cause) {
    throw new UserError(`${part}.endpoint`, `${part}: endpoint is no address: ${given}; mend ${mend}`, { cause });
  }
  const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback)) {
    throw new UserError(
      `${part}.endpoint`,
      `${part}: endpoint is not https: ${url.origin}; a token and what is sent would travel open; mend ${mend}`,
    );
  }
  return given.replace(/\/+$/, '');
}
