// The browser is at the other end of standard input and output: a line of JSON says where to send it, the answer where it came back to.
import { createInterface } from 'node:readline'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')

export const open = async (url) => {
  say({ open: String(url) })
  const { value } = await lines.next()
  return new URL(JSON.parse(value).at)
}

export const did = (what) => say({ did: what })

export const check = (holds, what) => {
  if (!holds) throw new Error('not as expected: ' + what)
}
