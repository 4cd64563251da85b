// Runs the dashboard's own script, as the gateway serves it, on a document that knows no more than the script needs:
//   node page_in_node.js http://[2001:db8::1]:6464 TOKEN [VIEWS]
// where VIEWS is JSON with what some paths shall say instead of what the gateway says,
// and prints as JSON what stands in each place of the page, which elements were made, and what shows once nobody answers any more.
"use strict";
const vm = require("node:vm");
const [base, token, views] = process.argv.slice(2);
const made = [];

class Node {}
class Text extends Node {
  constructor(data) {
    super();
    this.textContent = data;
  }
}
class Element extends Node {
  constructor(tag) {
    super();
    this.tag = tag;
    this.attributes = {};
    this.children = [];
    this.hidden = false;
    this.listeners = {};
  }
  setAttribute(name, value) {
    if (/^on/i.test(name)) throw new Error(`a handler as an attribute: ${name}`);
    this.attributes[name] = String(value);
  }
  append(...children) {
    for (const child of children) {
      if (!(child instanceof Node) && typeof child !== "string") throw new Error(`neither text nor element: ${child}`);
      this.children.push(child instanceof Node ? child : new Text(child));
    }
  }
  replaceChildren(...children) {
    this.children = [];
    this.append(...children);
  }
  get textContent() {
    return this.children.map((child) => child.textContent).join(" ");
  }
  set textContent(text) {
    this.children = [new Text(String(text))];
  }
  set innerHTML(_) {
    throw new Error("markup made of text");
  }
  addEventListener(name, listener) {
    this.listeners[name] = listener;
  }
}

async function main() {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const instead = JSON.parse(views || "{}");
  const fetched = async (path, options = {}) => {
    if (Object.hasOwn(instead, path)) return { ok: true, status: 200, json: async () => instead[path] };
    return fetch(base + path, { ...options, headers: { ...options.headers, ...headers } });
  };
  const [page, script] = await Promise.all(["/", "/page.js"].map(async (path) => (await fetched(path)).text()));
  const places = Object.fromEntries([...page.matchAll(/<(\w+)[^>]*\bid="([^"]+)"/g)].map(([, tag, id]) => [id, new Element(tag)]));
  const timers = [];
  const document = {
    hidden: false,
    getElementById(id) {
      if (!places[id]) throw new Error(`the page has no place ${id}`);
      return places[id];
    },
    createElement(tag) {
      made.push(tag);
      return new Element(tag);
    },
    createElementNS(_, tag) {
      return this.createElement(tag);
    },
  };
  let there = true;
  const asked = async (...arguments_) => {
    if (!there) throw new TypeError("fetch failed");
    return fetched(...arguments_);
  };
  const world = { document, Node, fetch: asked, AbortSignal, console, setInterval: () => {}, setTimeout: (then) => timers.push(then) };
  vm.runInNewContext(script, world);
  // The script plans its next look when the first is over.
  while (timers.length === 0) await new Promise((done) => setTimeout(done, 5));
  const shown = Object.entries(places).map(([id, place]) => [id, { text: place.textContent, hidden: place.hidden }]);
  // And its next one, when the gateway has gone.
  there = false;
  await timers.shift()();
  const gone = { hidden: places.gone.hidden, known: places.known.attributes.class };
  console.log(JSON.stringify({ places: Object.fromEntries(shown), made: [...new Set(made)], gone }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
