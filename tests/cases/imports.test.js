import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { URL, fileURLToPath } from "node:url";
import typescript from "../../target/typescript/node_modules/typescript/lib/typescript.js";

const ROOT = new URL("../../static/js/", import.meta.url);

/** What each folder of static/js may import from besides itself; the entries, which have no folder, may from all. */
const KNOWS = new Map([
  ["base", []],
  ["live", ["base"]],
  ["news", ["base", "live"]],
  ["list", ["base", "live", "news"]],
  ["order", ["base", "live", "news"]],
  ["host", ["base", "live", "news", "list"]],
]);

/**
 * The modules that a module imports, those included of which its comments import types.
 * @param {string} path below static/js
 */
function imported(path) {
  const file = typescript.createSourceFile(path, readFileSync(new URL(path, ROOT), "utf8"), typescript.ScriptTarget.Latest, true);
  const found = [];
  const visit = (node) => {
    const isImport = typescript.isImportDeclaration(node) || typescript.isExportDeclaration(node) || typescript.isJSDocImportTag(node);
    if (isImport && node.moduleSpecifier) found.push(node.moduleSpecifier.text);
    if (typescript.isImportTypeNode(node)) found.push(node.argument.literal.text);
    for (const comment of node.jsDoc ?? []) visit(comment);
    typescript.forEachChild(node, visit);
  };
  visit(file);
  return found.map((module) => fileURLToPath(new URL(module, new URL(path, ROOT))).slice(fileURLToPath(ROOT).length));
}

const modules = readdirSync(ROOT, { recursive: true }).filter((path) => path.endsWith(".js"));
const graph = new Map(modules.map((path) => [path, imported(path)]));
const folder = (path) => (path.includes("/") ? path.split("/")[0] : "");

test("every module stands in a folder that is known, or is an entry", () => {
  assert.ok(modules.length > 40, "the modules were found");
  const folders = new Set(modules.map(folder));
  assert.deepEqual([...folders].sort(), ["", ...KNOWS.keys()].sort());
  assert.ok([...graph.values()].flat().length > 100, "their imports were found");
});

for (const [path, imports] of graph) {
  test(`${path} imports only what its folder may know`, () => {
    const may = KNOWS.get(folder(path));
    for (const other of imports) {
      assert.ok(graph.has(other), `${other} is no module`);
      if (may) assert.ok(folder(other) === folder(path) || may.includes(folder(other)), `it imports ${other}`);
      else assert.notEqual(folder(other), "", `an entry imports the entry ${other}`);
    }
  });
}

test("no module imports itself, by whatever way", () => {
  const done = new Set();
  const walk = (path, way) => {
    assert.ok(!way.includes(path), `a circle: ${[...way.slice(way.indexOf(path)), path].join(" → ")}`);
    if (done.has(path)) return;
    for (const other of graph.get(path) ?? []) walk(other, [...way, path]);
    done.add(path);
  };
  for (const path of modules) walk(path, []);
});
