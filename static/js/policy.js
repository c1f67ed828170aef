// Keeps what is typed into the policy editor in this browser until it is applied.

const form = document.querySelector("[data-draft]");
const editor = form.querySelector("textarea");
const name = `policy:${document.body.dataset.base}:${form.dataset.draft}`;
const attached = editor.defaultValue;

const kept = localStorage.getItem(name);
if (kept !== null && kept !== attached && !("fresh" in editor.dataset)) {
  editor.value = kept;
  form.querySelector("[data-restored]").hidden = false;
}
editor.addEventListener("input", () => localStorage.setItem(name, editor.value));
form.addEventListener("submit", (event) => {
  // Checked, the draft stays one.
  if (event.submitter?.hasAttribute("formaction")) localStorage.removeItem(name);
});
