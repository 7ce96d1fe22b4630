"use strict";
// The page's own script: tables to sort, filters of the images, and the view of one image beside the training image that is
// closest to it. Words of the data become text, never markup.

(() => {
  const one = (id) => document.getElementById(id);
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const facts = JSON.parse(one("facts").textContent);
  const gallery = one("gallery");
  const tiles = all(".tile", gallery);
  const visible = () => tiles.filter((tile) => tile.offsetParent !== null);

  // on paper nothing is decoded later
  window.addEventListener("beforeprint", () => all("img").forEach((image) => (image.decoding = "sync")));

  // --- tables to sort ---------------------------------------------------------------------------------------------------

  const value = (row, column) => {
    const cell = row.cells[column];
    return "sort" in cell.dataset ? Number(cell.dataset.sort) : cell.textContent.trim();
  };

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1; // a dash comes last
    return a.localeCompare(b, undefined, { numeric: true });
  }

  function sort(table, column, head) {
    const numbers = all("tbody tr", table).some((row) => typeof value(row, column) === "number");
    const before = head.getAttribute("aria-sort");
    const down = before ? before === "ascending" : numbers; // of numbers the largest first
    all("th", table.tHead).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = all("tbody tr", table);
    const order = (a, b) => {
      const [x, y] = [value(a, column), value(b, column)];
      return typeof x === typeof y && down ? -compare(x, y) : compare(x, y);
    };
    table.tBodies[0].append(...rows.sort(order));
  }

  for (const table of all("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if ("plain" in head.dataset) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column, head));
      head.append(button);
    });
  }

  // --- filters ----------------------------------------------------------------------------------------------------------

  const form = one("filters");
  const near = ` Near copies among all kept images: ${facts.near} of ${facts.kept}; the page shows some images only.`;

  const shows = {
    "": () => true,
    kept: (shot) => !shot.reason,
    out: (shot) => Boolean(shot.reason),
    near: (shot) => shot.near,
  };

  function filter() {
    const wanted = Object.fromEntries(new FormData(form));
    let count = 0;
    for (const block of all(".block", gallery)) {
      const here = (!wanted.group || wanted.group === block.dataset.group) && (!wanted.cluster || wanted.cluster === block.dataset.cluster);
      let strips = 0;
      const drawn = all(".strip[data-method]", block);
      for (const strip of drawn) {
        let kept = 0;
        for (const tile of all(".tile", strip)) {
          const stays = shows[wanted.show](facts.shots[tile.dataset.shot]);
          tile.parentElement.hidden = !stays;
          kept += stays ? 1 : 0;
        }
        strip.hidden = !kept || Boolean(wanted.method && wanted.method !== strip.dataset.method);
        strips += strip.hidden ? 0 : 1;
        count += here && !strip.hidden ? kept : 0;
      }
      const bare = !drawn.length && !wanted.method && !wanted.show; // real images alone
      block.hidden = !here || !(strips || bare);
    }
    for (const head of all(".group", gallery)) {
      const own = all(".block", gallery).filter((block) => block.dataset.group === head.dataset.group);
      head.hidden = own.every((block) => block.hidden);
    }
    one("shown").textContent = `${count} of ${facts.shots.length} generated images of this page are shown.${wanted.show === "near" ? near : ""}`;
    rove(visible()[0]);
  }

  // --- the keyboard: one stop for Tab, arrows inside ----------------------------------------------------------------------

  if (one("keys")) one("keys").hidden = !tiles.length;

  function rove(tile) {
    for (const other of tiles) other.tabIndex = -1;
    if (tile) tile.tabIndex = 0;
  }

  function beside(tile, key) {
    const listed = visible();
    const at = listed.indexOf(tile);
    if (key === "Home") return listed[0];
    if (key === "End") return listed[listed.length - 1];
    if (key === "ArrowLeft" || key === "ArrowRight") return listed[at + (key === "ArrowRight" ? 1 : -1)];
    const own = tile.getBoundingClientRect();
    const down = key === "ArrowDown" ? 1 : -1;
    let best = null;
    let least = Infinity;
    for (const other of listed) {
      const box = other.getBoundingClientRect();
      const rows = down * (box.top - own.top);
      if (rows < own.height / 2) continue; // of the same row, or on the other side
      const far = rows * 10 + Math.abs(box.left - own.left); // the next row, there the nearest
      if (far < least) [best, least] = [other, far];
    }
    return best;
  }

  gallery.addEventListener("keydown", (event) => {
    const tile = event.target.closest(".tile");
    const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];
    if (!tile || !keys.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const next = beside(tile, event.key);
    if (!next) return;
    rove(next);
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  });

  // --- the view of one image ----------------------------------------------------------------------------------------------

  const look = one("look");
  let current = null;

  // small images at the largest whole multiple at which two stand beside each other; photographs as they are, the real one as
  // large as the generated one
  function fit() {
    const images = all("figure:not([hidden]) img", look);
    if (!images.every((image) => image.complete && image.naturalWidth)) return;
    const shorter = (image) => Math.min(image.naturalWidth, image.naturalHeight);
    const side = shorter(images[0]);
    const small = side <= 64;
    const room = Math.min(320, (Math.min(window.innerWidth, 1152) - 72) / 2);
    const shown = small ? side * Math.max(1, Math.floor(room / side)) : side;
    look.querySelector(".pair").classList.toggle("enlarged", small);
    for (const image of images) {
      image.classList.toggle("pixels", small);
      image.width = Math.round((image.naturalWidth * shown) / shorter(image));
    }
  }

  for (const image of all("img", look)) image.addEventListener("load", fit);

  function put(image, source, words) {
    image.src = source;
    image.alt = words;
  }

  function list(pairs) {
    const parts = pairs.flatMap(([name, what]) => {
      const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      detail.textContent = what;
      return [term, detail];
    });
    one("look-facts").replaceChildren(...parts);
  }

  // never up, or a figure below a limit would read as one at it
  function down(value, digits) {
    return (Math.floor(value * 10 ** digits + 1e-6) / 10 ** digits).toFixed(digits);
  }

  // an image that stands in a row of real ones is not in the file a second time
  function realSource(path) {
    return facts.real[path].source || all(".tile[data-real] img", gallery).find((i) => i.parentElement.dataset.real === path).src;
  }

  function openShot(shot, source) {
    const words = `generated by ${shot.method} for ${shot.group}`;
    one("look-h").textContent = `${shot.method}, ${shot.group}, ${shot.place}`;
    put(one("look-image"), source, words);
    one("look-words").textContent = "generated";
    put(one("look-real"), realSource(shot.real), "closest training image");
    const near = shot.near ? `● near copy: similarity ${down(shot.similarity, 3)}` : `similarity ${down(shot.similarity, 3)}, no near copy`;
    const left = facts.real[shot.real].seen ? "" : ", which the bias ratio leaves out of training";
    one("look-real-words").textContent = `closest training image, of ${facts.real[shot.real].group}${left} (${near}; the limit is ${shot.limit})`;
    list([
      ["filter", shot.reason ? `left out: ${shot.reason}` : "kept"],
      ["score", `${down(shot.score, 4)} (${shot.rule})`],
      ["prompt", shot.prompt],
      ...(shot.negative_prompt ? [["negative prompt", shot.negative_prompt]] : []),
      ["cluster", String(shot.cluster)],
      ...(shot.borrowed_from ? [["generators of", shot.borrowed_from]] : []),
      ["seed", shot.seed],
      ["steps, guidance", `${shot.steps}, ${shot.guidance}`],
      ["id", shot.id],
      ["closest image", shot.real],
    ]);
  }

  function openReal(path, source, group) {
    one("look-h").textContent = `real training image of ${group}`;
    put(one("look-image"), source, "real training image");
    one("look-words").textContent = "real";
    list([["image", path]]);
  }

  function open(tile) {
    current = tile;
    rove(tile);
    const source = tile.querySelector("img").src;
    const generated = "shot" in tile.dataset;
    one("look-closest").hidden = !generated;
    if (generated) openShot(facts.shots[tile.dataset.shot], source);
    else openReal(tile.dataset.real, source, tile.closest(".block").dataset.group);
    if (!look.open) look.showModal();
    fit();
  }

  function step(by) {
    const listed = visible();
    const next = listed[listed.indexOf(current) + by];
    if (next) open(next);
  }

  for (const tile of tiles) tile.addEventListener("click", () => open(tile));
  one("look-close").addEventListener("click", () => look.close());
  one("look-back").addEventListener("click", () => step(-1));
  one("look-next").addEventListener("click", () => step(1));
  look.addEventListener("click", (event) => event.target === look && look.close()); // beside the dialog
  look.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  look.addEventListener("close", () => current && current.focus());

  if (form) {
    form.hidden = false;
    form.addEventListener("change", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    one("all").addEventListener("click", () => {
      form.reset();
      filter();
    });
    filter();
  } else rove(tiles[0]);
})();
