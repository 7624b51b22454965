/** What layers on whole numbers need: loaded for networks that have some. */

export { withRanges } from '../compile/ranges.js';
export { int8 } from './algorithms/int8.js';
