import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

/** What browsers of 2022 do not know: a declaration with it is as if it were not there, so that one without it must come before. */
const YOUNG = [/light-dark\(/, /color-mix\(/, /\boklch\(/, /\boklab\(/, /^"[^"]*" \//, /^attr\([^)]*\) "[^"]*" \//];

/**
 * The rules of a style sheet: where each stands, and what it declares.
 * @param {string} css
 */
function rules(css) {
  const found = [];
  const parse = (text, context) => {
    for (let at = 0; at < text.length; ) {
      const open = text.indexOf("{", at);
      if (open < 0) return;
      let close = open + 1;
      for (let depth = 1; depth > 0; close += 1) depth += { "{": 1, "}": -1 }[text[close]] ?? 0;
      const selector = [...context, text.slice(at, open).trim()];
      const body = text.slice(open + 1, close - 1);
      if (body.includes("{")) parse(body, selector);
      else found.push({ selector: selector.join(" "), declarations: declarations(body) });
      at = close;
    }
  };
  parse(css.replaceAll(/\/\*.*?\*\//gs, ""), []);
  return found;
}

/** @param {string} body */
function declarations(body) {
  const parts = body.match(/(?:"[^"]*"|\([^)]*\)|[^;"(])+/g) ?? [];
  const pairs = parts.map((part) => [part.slice(0, part.indexOf(":")).trim(), part.slice(part.indexOf(":") + 1).trim()]);
  return pairs.filter(([name]) => name !== "");
}

/** What a style sheet says with no words for older browsers. */
function lost(css) {
  const isYoung = (value) => YOUNG.some((young) => young.test(value));
  return rules(css).flatMap(({ selector, declarations }) => {
    const lacks = ([name, value], at) =>
      isYoung(value) && !declarations.slice(0, at).some(([earlier, old]) => earlier === name && !isYoung(old));
    return declarations.filter(lacks).map(([name, value]) => `${selector} { ${name}: ${value} }`);
  });
}

const CSS = readFileSync(new URL("../../static/css/oncare.css", import.meta.url), "utf8");

test("the parser finds what has no fallback, and nothing else", () => {
  const sheet = `/* a { b: light-dark(c, d) } */ @media screen { p { color: red; color: light-dark(red, blue); margin: 0 } }
    q::before { content: ";" / "" } [x] { --a: light-dark(#fff, #000) }`;
  assert.deepEqual(lost(sheet), ['q::before { content: ";" / "" }', "[x] { --a: light-dark(#fff, #000) }"]);
});

test("whatever a browser of 2022 does not know has a fallback", () => {
  assert.ok(rules(CSS).length > 200, "the style sheet was read");
  assert.deepEqual(lost(CSS), []);
});

test("what is one colour in the light is one in the dark as well", () => {
  const colours = (selector) => {
    const found = rules(CSS).filter((rule) => rule.selector === selector).flatMap(({ declarations }) => declarations);
    return found.filter(([name, value]) => name.startsWith("--") && value.startsWith("#")).map(([name]) => name);
  };
  const light = colours(":root");
  assert.ok(light.length > 30, "the colours were found");
  assert.deepEqual(colours("@media screen and (prefers-color-scheme: dark) :root"), light);
});
