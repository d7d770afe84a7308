export { UserError } from './base/errors.ts';
