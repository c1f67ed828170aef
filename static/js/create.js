// Tells while a bucket's name is typed which rules it keeps. The node decides: nothing here holds a form back.

const input = document.querySelector("[data-name]");
const list = document.querySelector("#name-rules");
const prefixes = ["xn--", "sthree-", "amzn-s3-demo-"];
const suffixes = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
const rules = {
  length: (name) => name.length >= 3 && name.length <= 63,
  characters: (name) => /^[a-z0-9.-]*$/.test(name),
  ends: (name) => /^[a-z0-9]/.test(name) && /[a-z0-9]$/.test(name),
  dots: (name) => !name.includes("..") && !/^\d+\.\d+\.\d+\.\d+$/.test(name),
  reserved: (name) => !prefixes.some((begin) => name.startsWith(begin)) && !suffixes.some((end) => name.endsWith(end)),
};

const tell = () => {
  const name = input.value.trim();
  for (const rule of list.querySelectorAll("[data-rule]")) {
    const keeps = rules[rule.dataset.rule](name);
    rule.dataset.state = name === "" ? "" : keeps ? "kept" : "broken";
    rule.querySelector(".sr")?.remove();
    if (name === "") continue;
    const word = document.createElement("span");
    word.className = "sr";
    word.textContent = ` (${keeps ? list.dataset.kept : list.dataset.broken})`;
    rule.append(word);
  }
};
input.addEventListener("input", tell);
tell();
