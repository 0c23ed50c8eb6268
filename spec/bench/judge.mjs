// SPDX-License-Identifier: MIT
// What V8 needs, for engine.lua: a word and a number on each line, as engine_bench prints them.
//   node judge.mjs call FIB.wasm     ns a call of fib, best of its rounds
//   node judge.mjs run GUEST.wasm N  runs a WASI guest
//   node judge.mjs load FILE.wasm    from the file to a first call, with imports that do nothing: ms, and resident MB
import fs from "node:fs";

const [row, file, ...args] = process.argv.slice(2);

// Milliseconds of processor time, as engine_bench counts them.
function now() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function stubs(module) {
  const imports = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (kind === "function") (imports[from] ??= {})[name] = () => 0;
  }
  return imports;
}

if (row === "call") {
  const { fib } = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file))).exports;
  const n = 32;
  let a = 1, b = 1, best = Infinity;
  for (let i = 2; i <= n; i++) [a, b] = [b, a + b + 1];
  for (let round = 0; round < 9; round++) {
    const start = now();
    fib(n);
    best = Math.min(best, now() - start);
  }
  console.log(`call ${(best * 1e6 / b).toFixed(3)}`);
} else if (row === "run") {
  const { WASI } = await import("node:wasi");
  const wasi = new WASI({ version: "preview1", args: [file, ...args] });
  wasi.start(new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file)), wasi.getImportObject()));
} else {
  const start = now();
  const module = new WebAssembly.Module(fs.readFileSync(file));
  const { exports } = new WebAssembly.Instance(module, stubs(module));
  try { (exports._initialize ?? exports._start)(); } catch { /* it has run */ }
  console.log(`load ${(now() - start).toFixed(2)}\nrss ${(process.memoryUsage.rss() / 1e6).toFixed(2)}`);
}
