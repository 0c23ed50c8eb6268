// SPDX-License-Identifier: MIT
// V8's part in comparing engines: runs the exports of each module in the files named, and prints for each
//   FILE EXPORT ok NUMBER   or   FILE EXPORT trap TEXT
import fs from "node:fs";

for (const file of process.argv.slice(2)) {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file)));
  for (const [name, run] of Object.entries(exports)) {
    let line;
    try {
      line = `ok ${run()}`;
    } catch (error) {
      line = `trap ${error.message.split("\n")[0]}`;
    }
    console.log(`${file} ${name} ${line}`);
  }
}
