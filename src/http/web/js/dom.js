// Builds and patches elements. Text only ever becomes text nodes: there is no innerHTML anywhere,
// so nothing that a server or a publisher sends can become markup.

/**
 * Makes an element. `props`: `class`, `dataset`, `on` ({event: handler}), `text`, booleans, and
 * attributes by name. Children: nodes, strings, arrays; null and false are left out.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  apply(element, props);
  element.append(...flat(children));
  return element;
}

/** Sets the text only where it differs: an unchanged node is not announced or painted again. */
export function setText(node, text) {
  const value = text ?? '';
  if (node.textContent !== value) node.textContent = value;
}

/** Sets or removes an attribute, only where it differs. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

/** Replaces children. */
export function fill(parent, ...children) {
  parent.replaceChildren(...flat(children));
  return parent;
}

/**
 * Makes `parent`'s children match `items` by key, keeping the nodes that stay: focus, menus and
 * running videos survive a refresh. `create(item)` gives a node, `update(node, item)` patches it.
 */
export function reconcile(parent, items, keyOf, create, update) {
  const known = new Map();
  for (const node of parent.children) {
    if (node.dataset.key !== undefined) known.set(node.dataset.key, node);
    else node.remove();
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let node = known.get(key);
    if (node) known.delete(key);
    else {
      node = create(item);
      node.dataset.key = key;
    }
    update?.(node, item);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of known.values()) node.remove();
}

/** A unique id for `aria-labelledby` and the like. */
export function uid(prefix) {
  uid.next = (uid.next ?? 0) + 1;
  return `${prefix}-${uid.next}`;
}

function apply(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'class') element.className = value;
    else if (name === 'text') element.textContent = value;
    else if (name === 'dataset') Object.assign(element.dataset, value);
    else if (name === 'on') {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}
