"use strict";

// The sliders: each shows one puzzle's answer after a segment. Without this script the page shows the last answer.

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

function watch(slider, [pictures, words]) {
  const of = (what) => document.getElementById(`${what}-${slider.dataset.example}`);
  const show = () => {
    const at = slider.valueAsNumber - 1;
    of("picture").innerHTML = pictures[at];
    of("said").textContent = words[at];
    slider.setAttribute("aria-valuetext", words[at]);
  };
  slider.addEventListener("input", show);
  slider.parentElement.hidden = false;
}

unpacked(document.getElementById("segments").textContent).then((puzzles) => {
  for (const slider of document.querySelectorAll(".slider input")) watch(slider, puzzles[slider.dataset.example]);
  document.documentElement.dataset.ready = "yes";
});
